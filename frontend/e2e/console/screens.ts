/*
 * Every address of the router, so that no screen is left out of the check for accessibility and width.
 *
 * `src/router.test.ts` fails when a route is missing here: add the new screen, with a heading that it shows.
 */

export interface Screen {
  /** As the router has it. */
  route: string;
  /** Where it is opened; `{media}` is an item of the library. None where another test looks at it. */
  at?: string;
  /** A heading that stands there once it is loaded. */
  heading?: string | RegExp;
  /** What stands in the frame of a plugin, where there is one instead. */
  framed?: string;
  /** The test that looks at it, where it needs another Nimbus or nobody signed in. */
  elsewhere?: string;
}

const MANAGE = "/manage/plugins/$pluginId";
const boxed = (tab: string, heading: string | RegExp = "Boxed"): Screen => ({
  route: `${MANAGE}${tab}`,
  at: `/manage/plugins/boxed${tab}`,
  heading,
});

export const SCREENS: readonly Screen[] = [
  { route: "/sign-in", elsewhere: "screens/pictures.spec.ts" },
  { route: "/setup", elsewhere: "screens/pictures.spec.ts" },
  { route: "/invitation", elsewhere: "console/people.spec.ts" },
  { route: "/restoring", at: "/restoring", heading: "No restore was begun here" },
  { route: "/", at: "/", heading: "Home" },
  { route: "/plugins", at: "/plugins", heading: "Plugins" },
  { route: "/plugins/$pluginId/$", at: "/plugins/boxed", framed: "The plugin knows you as" },
  { route: "/account", at: "/account", heading: "Where you are signed in" },
  { route: "/library", at: "/library", heading: "Library" },
  { route: "/library/$mediaId", at: "/library/{media}", heading: "A film to look at" },
  { route: "/downloads", at: "/downloads", heading: "Downloads" },
  { route: "/install", at: "/install", heading: "Install a plugin" },
  { route: "/events", at: "/events", heading: "What happened" },
  { route: "/webhooks", at: "/webhooks", heading: "Webhooks" },
  { route: "/access", at: "/access", heading: "Invitations" },
  { route: "/audit", at: "/audit", heading: "Audit" },
  { route: "/system", at: "/system", heading: "What it depends on" },
  { route: "/$", at: "/no/such/page", heading: "Page not found" },
  boxed(""),
  boxed("/settings"),
  boxed("/history"),
  boxed("/logs"),
  boxed("/versions"),
  boxed("/metrics"),
  boxed("/events"),
  boxed("/data", "Restore"),
  boxed("/danger"),
  boxed("/doctor"),
];
