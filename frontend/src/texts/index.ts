/** Every sentence of the dashboard, one file for each feature, ready for translation. */
import * as access from "./access";
import * as account from "./account";
import * as audit from "./audit";
import * as auth from "./auth";
import * as backups from "./backups";
import * as common from "./common";
import * as danger from "./danger";
import * as data from "./data";
import * as dependencies from "./dependencies";
import * as doctor from "./doctor";
import * as downloads from "./downloads";
import * as events from "./events";
import * as home from "./home";
import * as host from "./host";
import * as install from "./install";
import * as library from "./library";
import * as logs from "./logs";
import * as plugin from "./plugin";
import * as pluginEvents from "./plugin-events";
import * as plugins from "./plugins";
import * as ports from "./ports";
import * as settings from "./settings";
import * as shell from "./shell";
import * as system from "./system";
import * as usage from "./usage";
import * as versions from "./versions";
import * as webhooks from "./webhooks";

export const texts = {
  ...access,
  ...account,
  ...audit,
  ...auth,
  ...backups,
  ...common,
  ...danger,
  ...data,
  ...dependencies,
  ...doctor,
  ...downloads,
  ...events,
  ...home,
  ...host,
  ...install,
  ...library,
  ...logs,
  ...plugin,
  ...pluginEvents,
  ...plugins,
  ...ports,
  ...settings,
  ...shell,
  ...system,
  ...usage,
  ...versions,
  ...webhooks,
};
