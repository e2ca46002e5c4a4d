// Types of the app's own that SvelteKit merges into its interfaces.
declare global {
  namespace App {
    interface Error {
      /** What the user can do about it, if known. */
      hint?: string;
    }
    interface PageData {
      /** Shown in the browser's title bar before the product's name. */
      title?: string;
    }
  }
}

export {};
