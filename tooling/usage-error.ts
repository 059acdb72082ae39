/** The command line is wrong: the message, the usage, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
