/**
 * Resources that may go before the optimizer does, such as those of steps that leave out other tensors each time: what
 * nobody holds is collected, and the rest destroyed with it.
 */
export class Passing {
  readonly #made = new Set<WeakRef<{ destroy(): void }>>();

  readonly own = <T extends { destroy(): void }>(resource: T): T => {
    this.#made.add(new WeakRef(resource));
    return resource;
  };

  destroy(): void {
    for (const one of this.#made) one.deref()?.destroy();
  }
}
