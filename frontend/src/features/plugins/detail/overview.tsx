import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { permissionsQuery } from "@/api/installs";
import { versionsQuery } from "@/api/plugin-admin";
import { type PluginDetail, pluginQuery } from "@/api/plugins";
import { Loaded } from "@/components/loaded";
import { RelativeTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { Trouble } from "../failure";
import { Consent, RiskNote } from "../permissions";
import { StageProgress } from "../stage-progress";
import { helpOf } from "../state";
import { StateBadge } from "../state-badge";
import { DependenciesCard } from "./dependencies-card";
import { PortsCard } from "./ports-card";
import { RoutesCard } from "./routes-card";
import { Timeline } from "./timeline";

const route = getRouteApi("/app/manage/plugins/$pluginId");

export default function Overview() {
  const { pluginId } = route.useParams();
  const { user } = route.useRouteContext();
  const { data: plugin } = useQuery(pluginQuery(pluginId));
  if (!plugin) return null;
  return (
    <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-[minmax(0,1fr)_20rem]">
      <div className="grid grid-cols-1 gap-5">
        <StateCard plugin={plugin} admin={user.role === "admin"} />
        <DependenciesCard plugin={plugin} />
        {user.role === "admin" && <PortsCard pluginId={plugin.id} routes={plugin.manifest?.routes} />}
        {plugin.manifest && <RoutesCard id={plugin.id} routes={plugin.manifest.routes ?? []} />}
      </div>
      <div className="grid grid-cols-1 gap-5">
        <AboutCard plugin={plugin} admin={user.role === "admin"} />
        {user.role === "admin" ? (
          <ConsentCard id={plugin.id} />
        ) : (
          <PermissionsCard permissions={plugin.permissions ?? []} />
        )}
      </div>
    </div>
  );
}

function StateCard({ plugin, admin }: { plugin: PluginDetail; admin: boolean }) {
  return (
    <Card className="grid gap-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Heading level={2}>{texts.plugin.state}</Heading>
        <StateBadge state={plugin.state} />
        <RelativeTime at={plugin.since} className="text-sm text-muted" />
      </div>
      <StageProgress plugin={plugin} />
      <p className="text-muted">{helpOf(plugin)}</p>
      <Trouble plugin={plugin} all admin />
      {admin && <Timeline pluginId={plugin.id} />}
    </Card>
  );
}

function Row({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="grid grid-cols-[6.5rem_minmax(0,1fr)] gap-3 py-2">
      <dt className="text-muted">{term}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  );
}

function AboutCard({ plugin, admin }: { plugin: PluginDetail; admin: boolean }) {
  const { fields } = texts.plugin;
  const { data: versions } = useQuery({ ...versionsQuery(plugin.id), enabled: admin });
  const digest = versions?.find(({ status }) => status === "current")?.digest;
  return (
    <Card>
      <Heading level={2}>{texts.plugin.about}</Heading>
      <dl className="mt-2 text-sm">
        <Row term={fields.id}>
          <code className="font-mono text-[0.8125rem]">{plugin.id}</code>
        </Row>
        <Row term={fields.version}>{plugin.version}</Row>
        {plugin.author && <Row term={fields.author}>{plugin.author}</Row>}
        {plugin.license && <Row term={fields.license}>{plugin.license}</Row>}
        {plugin.homepage && (
          <Row term={fields.homepage}>
            <a
              href={plugin.homepage}
              rel="noreferrer noopener"
              target="_blank"
              className="rounded text-accent underline underline-offset-2"
            >
              {plugin.homepage}
            </a>
          </Row>
        )}
        <Row term={fields.source}>
          <code className="font-mono text-[0.8125rem] break-all">{plugin.source}</code>
        </Row>
        {digest && (
          <Row term={fields.digest}>
            <code className="font-mono text-[0.8125rem] break-all">{digest}</code>
          </Row>
        )}
        <Row term={fields.added}>
          <RelativeTime at={plugin.createdAt} />
        </Row>
        <Row term={fields.trust}>{plugin.trusted ? texts.plugin.trusted : texts.plugin.untrusted}</Row>
      </dl>
      {(plugin.capabilities?.length ?? 0) > 0 && (
        <ul aria-label={texts.plugins.capabilities} className="mt-3 flex flex-wrap gap-1.5">
          {plugin.capabilities?.map((capability) => (
            <li key={capability}>
              <Badge tone="outline">{capability}</Badge>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

/** A permission in words; one that this dashboard does not know keeps its name only. */
export function explain(permission: string): string | null {
  if (permission.startsWith("plugins:call:")) {
    return texts.plugin.permissionPlugin(permission.slice("plugins:call:".length));
  }
  if (permission.startsWith("downloads:")) return texts.plugin.permissionDownloads;
  return texts.plugin.permission[permission] ?? null;
}

/** What it may do, for those who decide about it. */
function ConsentCard({ id }: { id: string }) {
  const query = useQuery(permissionsQuery(id));
  return (
    <Card aria-labelledby="permissions-heading">
      <Heading id="permissions-heading">{texts.plugin.permissions}</Heading>
      <p className="mt-1 mb-4 text-sm text-muted">{texts.plugin.permissionsLead}</p>
      <Loaded query={query} failed={texts.consent.loadFailed}>
        {(given) => (
          <div className="grid gap-5">
            {!given.decided && given.requested.length > 0 && <Alert level="warning">{texts.consent.undecided}</Alert>}
            <Consent key={`${given.version} ${given.decidedAt}`} given={given} />
            <RiskNote risk={given.risk} />
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function PermissionsCard({ permissions }: { permissions: readonly string[] }) {
  return (
    <Card>
      <Heading level={2}>{texts.plugin.permissions}</Heading>
      {permissions.length === 0 ? (
        <p className="mt-2 text-sm text-muted">{texts.plugin.noPermissions}</p>
      ) : (
        <>
          <p className="mt-1 text-sm text-muted">{texts.plugin.permissionsLead}</p>
          <ul className="mt-3 grid gap-3 text-sm">
            {permissions.map((permission) => (
              <li key={permission}>
                {explain(permission)}
                <code className="block font-mono text-xs text-muted">{permission}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}
