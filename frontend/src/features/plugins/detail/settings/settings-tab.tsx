import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { SlidersHorizontal } from "lucide-react";
import { useMemo, useState } from "react";
import { configQuery, saveConfig } from "@/api/plugin-admin";
import { Loaded } from "@/components/loaded";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { Heading } from "@/components/ui/heading";
import { LeaveGuard } from "@/components/ui/leave-guard";
import { scopedApi } from "@/plugin-host/scoped-api";
import { FilledSlot, useSlotFills } from "@/plugin-host/slots";
import { texts } from "@/texts";
import { asSchema, type Values } from "./schema";
import { SettingsForm } from "./settings-form";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const { settings } = texts;

export default function SettingsTab() {
  const { pluginId } = route.useParams();
  const { user } = route.useRouteContext();
  const client = useQueryClient();
  const query = useQuery(configQuery(pluginId));
  const sections = useSlotFills("settings/section/v1").filter((fill) => fill.manifest.pluginId === pluginId);
  const api = useMemo(() => scopedApi(pluginId), [pluginId]);
  const [dirty, setDirty] = useState(false);

  const save = async (values: Values) => {
    const stored = await saveConfig(pluginId, values);
    client.setQueryData(configQuery(pluginId).queryKey, stored);
    return stored;
  };
  return (
    <div className="grid max-w-3xl grid-cols-1 gap-5">
      <Loaded query={query} failed={settings.loadFailed}>
        {(config) =>
          Object.keys(asSchema(config.schema).properties ?? {}).length === 0 ? (
            sections.length === 0 && (
              <EmptyState icon={SlidersHorizontal} title={settings.noneTitle}>
                <p>{settings.noneLead}</p>
              </EmptyState>
            )
          ) : (
            <Card aria-labelledby="settings-heading">
              <Heading id="settings-heading">{settings.title}</Heading>
              <p className="mt-1 mb-5 text-pretty text-muted">{settings.lead}</p>
              <SettingsForm config={config} api={api} onSave={save} onDirty={setDirty} />
            </Card>
          )
        }
      </Loaded>
      {sections.map((fill) => (
        <Card key={fill.key} aria-label={fill.manifest.name}>
          <FilledSlot fill={fill} user={user} />
        </Card>
      ))}
      <LeaveGuard
        when={dirty}
        title={settings.leaveTitle}
        lead={settings.leaveLead}
        stay={settings.stay}
        leave={settings.leave}
      />
    </div>
  );
}
