// A question that many ask at once, asked as rarely as possible, so that nobody gets an answer which is older than his question.

export class NextAnswer<Answer> {
  readonly #ask: () => Promise<Answer>;
  #underWay: Promise<Answer> | null = null;
  #next: Promise<Answer> | null = null;

  constructor(ask: () => Promise<Answer>) {
    this.#ask = ask;
  }

  /** An answer that is under way may be older than this call: callers meanwhile share the one after it. */
  get(): Promise<Answer> {
    if (this.#underWay === null) {
      this.#underWay = this.#ask().finally(() => (this.#underWay = null));
      return this.#underWay;
    }
    this.#next ??= this.#after(this.#underWay);
    return this.#next;
  }

  async #after(underWay: Promise<Answer>): Promise<Answer> {
    // Its failure is for those who asked then.
    await underWay.catch(() => {});
    this.#next = null;
    return await this.get();
  }
}
