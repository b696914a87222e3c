import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import type { ReactNode } from "react";
import { uiManifestsQuery } from "@/api/plugins";
import type { User } from "@/api/session";
import { usePolling } from "@/live/use-live";
import { navGroups } from "@/plugin-host/navigation";
import { texts } from "@/texts";
import { openPalette } from "../palette/open";
import { PluginIcon } from "../plugin-icon";
import { Brand } from "./brand";
import { LiveIndicator } from "./live-indicator";
import { ADMIN_PLACES, PLACES, type Place } from "./places";
import { UserMenu } from "./user-menu";

const entry =
  "flex min-h-10 items-center gap-3 rounded-lg px-3 font-medium text-muted transition-colors hover:bg-sunken hover:text-text data-[status=active]:bg-accent-soft data-[status=active]:text-accent [&_svg]:size-[1.125rem] [&_svg]:shrink-0";

function Label({ id, children }: { id: string; children: ReactNode }) {
  return (
    <h2 id={id} className="px-3 pt-6 pb-1.5 text-[0.8125rem] font-medium text-muted">
      {children}
    </h2>
  );
}

function Places({ places, label }: { places: readonly Place[]; label?: string }) {
  return (
    <ul aria-label={label} className="grid gap-0.5">
      {places.map(({ label: name, to, icon: Icon, exact }) => (
        <li key={to}>
          <Link to={to} activeOptions={{ exact: exact ?? false }} className={entry}>
            <Icon aria-hidden="true" />
            {name}
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** The dashboard's own entries, then those of running plugins in their groups. */
export function Sidebar({ user }: { user: User }) {
  const polling = usePolling();
  const { data: manifests } = useQuery({ ...uiManifestsQuery, refetchInterval: polling });
  const groups = navGroups(manifests ?? [], user.role);
  return (
    <div className="flex h-full flex-col gap-2 p-4">
      <Link to="/" className="rounded-lg px-2 py-1.5" aria-label={texts.app.name}>
        <Brand />
      </Link>
      <button
        type="button"
        onClick={openPalette}
        className="mt-1 flex h-9 items-center gap-2.5 rounded-lg border px-3 text-left text-sm text-muted hover:bg-sunken hover:text-text"
      >
        <Search aria-hidden="true" className="size-4 shrink-0" />
        <span className="flex-1">{texts.palette.open}</span>
        <span aria-hidden="true" className="text-xs">
          {texts.palette.shortcut}
        </span>
      </button>
      <nav aria-label={texts.nav.main} className="-mx-1 mt-3 min-h-0 flex-1 overflow-y-auto px-1">
        <Places places={PLACES} />
        <Label id="nav-extensions">{texts.nav.extensions}</Label>
        {manifests && groups.length === 0 && (
          <p className="px-3 text-sm text-pretty text-muted">{texts.nav.extensionsEmpty}</p>
        )}
        <div className="grid gap-3">
          {groups.map((group) => (
            <div key={group.name ?? ""}>
              {group.name && <h3 className="px-3 pb-1 text-xs text-muted">{group.name}</h3>}
              <ul aria-label={group.name ?? texts.nav.extensions} className="grid gap-0.5">
                {group.items.map((item) => (
                  <li key={`${item.pluginId}${item.path}${item.label}`}>
                    <Link
                      to="/plugins/$pluginId/$"
                      params={{ pluginId: item.pluginId, _splat: item.path.slice(1) }}
                      activeOptions={{ exact: item.path === "/" && item.hasSiblings }}
                      className={entry}
                    >
                      <PluginIcon name={item.icon} />
                      <span className="truncate">{item.label}</span>
                    </Link>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </div>
        {user.role === "admin" && ADMIN_PLACES.length > 0 && (
          <>
            <Label id="nav-administration">{texts.nav.administration}</Label>
            <Places places={ADMIN_PLACES} label={texts.nav.administration} />
          </>
        )}
      </nav>
      <LiveIndicator />
      <UserMenu user={user} />
    </div>
  );
}
