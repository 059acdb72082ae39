import type { Reporter, TestCase, TestModule, TestSpecification } from "vitest/node";
import { onShutdown } from "./shutdown.ts";

/**
 * Ends a run that hangs, and prints `N passed, N failed` as the last line of the process. Failed counts tests, suites
 * and files that could not be run, unhandled errors, and tests that were due but never ran.
 */
export class SummaryReporter implements Reporter {
  readonly #quietSeconds: number;
  #watchdog: NodeJS.Timeout | undefined;
  #expected: readonly TestSpecification[] = [];
  readonly #modules = new Map<string, TestModule>();
  readonly #running = new Set<TestCase>();
  readonly #finished = new Set<string>();
  #unhandled = 0;

  /** @param quietSeconds longest time without any event before the run counts as hanging. */
  constructor(quietSeconds: number) {
    this.#quietSeconds = quietSeconds;
    onShutdown(() => this.#printSummary());
  }

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#expected = specifications;
    this.#feed();
  }
  onTestModuleQueued(module: TestModule): void {
    this.#modules.set(module.id, module);
    this.#feed();
  }
  onTestModuleCollected(module: TestModule): void {
    this.#modules.set(module.id, module);
    this.#feed();
  }
  onTestModuleEnd(module: TestModule): void {
    this.#modules.set(module.id, module);
    this.#finished.add(module.id);
    this.#feed();
  }
  onTestCaseReady(test: TestCase): void {
    this.#running.add(test);
    this.#feed();
  }
  onTestCaseResult(test: TestCase): void {
    this.#running.delete(test);
    this.#feed();
  }
  onTestSuiteReady(): void {
    this.#feed();
  }
  onHookStart(): void {
    this.#feed();
  }
  onUserConsoleLog(): void {
    this.#feed();
  }
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    clearTimeout(this.#watchdog);
    for (const module of modules) this.#modules.set(module.id, module);
    this.#unhandled = unhandledErrors.length;
  }

  /** Sets the watchdog back: something happened. */
  #feed(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#giveUp(), this.#quietSeconds * 1000);
  }

  #giveUp(): never {
    console.error(`\nNothing happened for ${this.#quietSeconds} s. Still running:`);
    const names = [...this.#running].map((test) => `${test.module.relativeModuleId} > ${test.fullName}`);
    if (names.length === 0) names.push(...this.#unfinished());
    for (const name of names) console.error(`  ${name}`);
    process.exit(1);
  }

  /** Files that have not ended. A page that never yields cannot say which of its tests has begun. */
  *#unfinished(): Generator<string> {
    for (const module of this.#modules.values()) {
      if (this.#finished.has(module.id)) continue;
      const tests = [...module.children.allTests("pending")].map((test) => `'${test.fullName}'`);
      yield `${module.relativeModuleId}${tests.length > 0 ? `, in one of ${tests.join(", ")}` : ", in its imports"}`;
    }
  }

  #printSummary(): void {
    const { passed, failed } = this.#count();
    // An exit code without a counted failure (a wrong filter, a broken configuration) is a failure all the same.
    const total = failed === 0 && process.exitCode !== undefined && process.exitCode !== 0 ? 1 : failed;
    if (total > 0 && !process.exitCode) process.exitCode = 1;
    console.log(`${passed} passed, ${total} failed`);
  }

  #count(): { passed: number; failed: number } {
    const started = new Set([...this.#modules.values()].map((module) => module.id));
    let passed = 0;
    let failed = this.#unhandled + this.#expected.filter(({ taskId }) => !started.has(taskId)).length;
    for (const module of this.#modules.values()) {
      const before = failed;
      for (const suite of [module, ...module.children.allSuites()]) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        // A failed hook leaves its tests marked as skipped, although they were due.
        else if (state !== "skipped" || isBelowFailedHook(test)) failed++;
      }
      if (failed === before && !this.#finished.has(module.id)) failed++;
    }
    return { passed, failed };
  }
}

function isBelowFailedHook(test: TestCase): boolean {
  let suite = test.parent;
  while (suite.type === "suite" && suite.errors().length === 0) suite = suite.parent;
  return suite.errors().length > 0;
}
