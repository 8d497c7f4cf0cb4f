/** Why a request is given up: always one of these Errors, so that whoever sees one can tell whose doing it was. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
  constructor() {
    super('the client closed the connection');
  }
}

export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded';
  readonly limit: 'first_token' | 'idle' | 'total' | 'body';
  constructor(limit: DeadlineExceeded['limit']) {
    super(`the ${limit} time limit passed`);
    this.limit = limit;
  }
}

export class ShuttingDown extends Error {
  override readonly name = 'ShuttingDown';
  constructor() {
    super('the gateway is shutting down');
  }
}

/** What the client sends as its body is not one: nobody can say where it ends. */
export class BadFraming extends Error {
  override readonly name = 'BadFraming';
  constructor() {
    super('the request is not well-formed HTTP/1.1');
  }
}

/** Given to an engine whose work is no longer wanted though nobody left: the answer broke, or was complete already. */
export class NoLongerWanted extends Error {
  override readonly name = 'NoLongerWanted';
  constructor() {
    super('the answer is no longer wanted');
  }
}
