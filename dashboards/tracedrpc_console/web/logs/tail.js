/** The live tail: lines as they arrive, held back while paused. */

import { url } from "../remote.js";

const MOST_HELD = 1000;

export class Tail {
  #source;
  #held = [];
  #onLines;
  #onState;
  #soon = 0;
  isPaused = false;

  /** `onLines(logs)`: newest first, a few at a time; `onState({text, isBad})`: what to say about it. */
  constructor(filters, onLines, onState) {
    this.#onLines = onLines;
    this.#onState = onState;
    this.#source = new EventSource(url("logs/tail", filters));
    this.#source.onopen = () => this.#say();
    this.#source.onerror = () => onState({ text: "the tail broke off; trying again", isBad: true });
    this.#source.onmessage = (event) => this.#arrived(JSON.parse(event.data));
    this.#source.addEventListener("skipped", () => this.#skipped());
    onState({ text: "connecting", isBad: false });
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    if (!isPaused) this.#give();
    this.#say();
  }

  close() {
    clearTimeout(this.#soon);
    this.#source.close();
  }

  #arrived(log) {
    this.#held.push(log);
    if (this.#held.length > MOST_HELD) this.#held.shift();
    if (this.isPaused) this.#say();
    else this.#soon ||= setTimeout(() => this.#give(), 100);
  }

  /** The server leaves lines out for who cannot keep up. */
  #skipped() {
    this.#onState({ text: "lines came faster than they could be read; some were left out", isBad: true });
  }

  #give() {
    this.#soon = 0;
    if (this.isPaused || !this.#held.length) return;
    this.#onLines(this.#held.reverse());
    this.#held = [];
  }

  #say() {
    const held = this.#held.length;
    const waiting = held >= MOST_HELD ? `the newest ${held} wait` : `${held} wait`;
    this.#onState({ text: this.isPaused ? `paused, ${waiting}` : "following", isBad: false });
  }
}
