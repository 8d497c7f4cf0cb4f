// The mock upstream in a process of its own: `{ kind: 'report' }` and `{ kind: 'forget' }` over IPC, a port by argument (0: any).
import { createMockUpstream } from './upstream.ts';

const mock = createMockUpstream();
mock.server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', 4096, () => {
  const address = mock.server.address();
  process.send?.({ kind: 'listening', port: typeof address === 'object' ? address?.port : null });
});
process.on('message', (message: { readonly kind: string; readonly id: number }) => {
  if (message.kind === 'forget') mock.forget();
  process.send?.({ kind: 'done', id: message.id, value: mock.report() });
});
process.on('disconnect', () => process.exit(0));
