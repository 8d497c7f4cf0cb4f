// Closes a test run with one plain line that any CI can read: `N passed, N failed, N skipped`.
export default class ClosingLine {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      for (const state of states) count[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1;
      // A file that did not load, or a hook that failed, is a failure that no test carries.
      if (module.state() === 'failed' && !states.includes('failed')) count.failed += 1;
    }
    // An error outside any test (an unhandled rejection) is a failure too.
    count.failed += errors.length;
    console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
