/** The event that opens the command palette, from anywhere: a key, a button, a plugin's frame. */
export const PALETTE_EVENT = "nimbus:palette";

export function openPalette(): void {
  window.dispatchEvent(new Event(PALETTE_EVENT));
}
