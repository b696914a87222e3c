import type { LucideIcon } from "lucide-react";
import {
  CircleUser,
  Clapperboard,
  Download,
  House,
  LayoutGrid,
  PackagePlus,
  Radio,
  ScrollText,
  ServerCog,
  Users,
  Webhook,
} from "lucide-react";
import { texts } from "@/texts";

export interface Place {
  label: string;
  to: string;
  icon: LucideIcon;
  /** Active on its own address only. */
  exact?: boolean;
}

/** The dashboard's own pages, in the sidebar's order. */
export const PLACES: readonly Place[] = [
  { label: texts.nav.home, to: "/", icon: House, exact: true },
  { label: texts.nav.plugins, to: "/plugins", icon: LayoutGrid, exact: true },
  { label: texts.nav.library, to: "/library", icon: Clapperboard },
  { label: texts.nav.downloads, to: "/downloads", icon: Download },
];

/** Pages for administrators, below a heading of their own. */
export const ADMIN_PLACES: readonly Place[] = [
  { label: texts.nav.install, to: "/install", icon: PackagePlus },
  { label: texts.nav.events, to: "/events", icon: Radio },
  { label: texts.nav.webhooks, to: "/webhooks", icon: Webhook },
  { label: texts.nav.access, to: "/access", icon: Users },
  { label: texts.nav.audit, to: "/audit", icon: ScrollText },
  { label: texts.nav.system, to: "/system", icon: ServerCog },
];

/** Reached by the menu of the account, and by the palette. */
export const MORE_PLACES: readonly Place[] = [{ label: texts.session.account, to: "/account", icon: CircleUser }];
