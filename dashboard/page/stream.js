// The one stream of this tab: open while the tab is visible, and opened again when it breaks.
// A browser has six connections for a server; hidden tabs must not keep theirs.

const AGAIN_MS = 2000;
const KINDS = ["whole", "news", "about"];

export class Feed {
  #source = null;
  #timer = null;
  #topic = "";

  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    document.addEventListener("visibilitychange", () => this.#follow());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", () => this.#follow());
  }

  // Show something in detail, too: `thing:KEY`, `node:NAME` or nothing.
  about(topic) {
    if (topic === this.#topic && this.#source) return;
    this.#topic = topic;
    this.#close();
    this.#follow();
  }

  #follow() {
    if (document.hidden) {
      this.#close();
      this.onState("hidden");
    } else if (!this.#source) this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    const query = this.#topic ? `?about=${encodeURIComponent(this.#topic)}` : "";
    const source = new EventSource(`/events${query}`);
    this.#source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (source !== this.#source) return;
        this.onState("open");
        this.onEvent(kind, JSON.parse(event.data));
      });
    }
    source.onerror = () => {
      if (source !== this.#source) return;
      this.#close();
      this.onState("lost");
      if (!document.hidden) this.#timer = setTimeout(() => this.#follow(), AGAIN_MS);
    };
  }

  #close() {
    clearTimeout(this.#timer);
    if (this.#source) this.#source.close();
    this.#source = null;
  }
}
