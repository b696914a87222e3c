// Puts pictures that the browser tests of the console took into docs/images, where the pages of docs/howto show them.
import { copyFileSync } from "node:fs";

const PICTURES = [
  "first-steps",
  "permissions",
  "settings",
  "doctor",
  "metrics",
  "downloads",
  "library-item",
  "access",
  "home",
  "versions",
  "ports",
  "backup",
  "library",
  "api-keys",
  "invitations",
  "account",
  "events",
  "webhooks",
  "audit",
  "restored",
];

for (const name of PICTURES) {
  copyFileSync(`../build/screenshots/console-${name}-light-desktop.png`, `../docs/images/console-${name}.png`);
}
// Of the page System only the upper part: below it are folders of the machine that took it.
copyFileSync("../build/screenshots/console-system-above.png", "../docs/images/console-system.png");
// Of the run against compose, which installs from images.
for (const name of ["install-pull", "install-consent", "install-refused", "upgrade"]) {
  copyFileSync(`../build/screenshots/compose-${name}-light-desktop.png`, `../docs/images/compose-${name}.png`);
}
for (const name of ["plugins", "plugins-select-cards", "plugin-danger", "palette"]) {
  copyFileSync(`../build/screenshots/${name}-light-desktop.png`, `../docs/images/${name}.png`);
}
copyFileSync("../build/screenshots/plugin-logs-lines.png", "../docs/images/plugin-logs.png");
for (const name of ["set-up-light-desktop", "console-invitation-made", "console-webhook-secret"]) {
  copyFileSync(`../build/screenshots/${name}.png`, `../docs/images/${name.replace("-light-desktop", "")}.png`);
}
