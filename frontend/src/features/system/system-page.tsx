import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { systemQuery } from "@/api/session";
import { configurationQuery, readinessQuery } from "@/api/system";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { CheckField } from "@/components/ui/check-field";
import { DataTable } from "@/components/ui/data-table";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { BackupsCard } from "./backups/backups-card";

const { system } = texts;

/** What this Nimbus is, whether what it depends on is there, and how it is set. */
export default function SystemPage() {
  return (
    <>
      <PageHeader title={system.title} lead={system.lead} />
      <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-2">
        <AboutCard />
        <DependenciesCard />
        <BackupsCard />
        <ConfigurationCard />
      </div>
    </>
  );
}

function AboutCard() {
  const query = useQuery(systemQuery);
  return (
    <Card aria-labelledby="about-heading">
      <Heading id="about-heading">{system.about}</Heading>
      <Loaded query={query} failed={system.loadFailed}>
        {(found) => (
          <>
            <dl className="mt-2 grid grid-cols-[8rem_minmax(0,1fr)] gap-x-3 gap-y-2 text-sm">
              <dt className="text-muted">{system.version}</dt>
              <dd>{found.version}</dd>
              <dt className="text-muted">{system.runtime}</dt>
              <dd>{found.runtime ? (system.runtimes[found.runtime] ?? found.runtime) : system.unknown}</dd>
              <dt className="text-muted">{system.plugins}</dt>
              <dd>{found.pluginsEnabled ? system.on : system.off}</dd>
              <dt className="text-muted">{system.safeMode}</dt>
              <dd>{found.safeMode ? system.on : system.off}</dd>
              <dt className="text-muted">{system.api}</dt>
              <dd>
                <a href="/api/docs" className="rounded text-accent underline underline-offset-2">
                  {system.docs}
                </a>
              </dd>
            </dl>
            <p className="mt-4 text-sm text-pretty text-muted">{system.safeModeHelp}</p>
          </>
        )}
      </Loaded>
    </Card>
  );
}

function DependenciesCard() {
  const query = useQuery(readinessQuery);
  return (
    <Card aria-labelledby="dependencies-heading">
      <Heading id="dependencies-heading">{system.dependencies}</Heading>
      <Loaded query={query} failed={system.loadFailed}>
        {({ checks }) => (
          <ul className="mt-3 grid gap-3 text-sm">
            {Object.entries(checks).map(([name, check]) => (
              <li key={name} className="flex flex-wrap items-center justify-between gap-2">
                <span>
                  {system.dependency[name] ?? name}
                  {check.detail && <span className="block text-muted">{check.detail}</span>}
                </span>
                <Badge tone={check.ok ? "positive" : "danger"}>{check.ok ? system.fine : system.wrong}</Badge>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

function ConfigurationCard() {
  const query = useQuery(configurationQuery);
  const [all, setAll] = useState(false);
  return (
    <Card aria-labelledby="configuration-heading" className="lg:col-span-2">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <Heading id="configuration-heading">{system.configuration}</Heading>
        <CheckField label={system.showAll} checked={all} onChange={(event) => setAll(event.target.checked)} />
      </div>
      <Alert className="mb-4">{system.configurationLead}</Alert>
      <Loaded query={query} failed={system.loadFailed}>
        {({ settings }) => (
          <DataTable
            label={system.configuration}
            rows={settings.filter((setting) => all || setting.changed)}
            rowKey={(setting) => setting.name}
            columns={[
              {
                title: system.setting,
                cell: (setting) => (
                  <>
                    <code className="font-mono text-[0.8125rem] break-all">{setting.name}</code>
                    <span className="block text-muted">{setting.description}</span>
                  </>
                ),
              },
              {
                title: system.value,
                cell: (setting) =>
                  setting.secret ? (
                    <span className="text-muted">{setting.changed ? system.hidden : system.notSet}</span>
                  ) : (
                    <code className="font-mono text-[0.8125rem] break-all">{setting.value || system.notSet}</code>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
