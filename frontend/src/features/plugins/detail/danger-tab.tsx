import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { uninstallPlugin } from "@/api/plugin-admin";
import { type Others, type PluginDetail, pluginQuery } from "@/api/plugins";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { needsOf } from "../needs";
import { NeedsDialog } from "../needs-dialog";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const { danger } = texts;

/** What cannot be taken back, each with what is lost. */
export default function DangerTab() {
  const { pluginId } = route.useParams();
  const { data: plugin } = useQuery(pluginQuery(pluginId));
  const [asked, setAsked] = useState<"keep" | "delete" | null>(null);
  if (!plugin) return null;
  const folder = plugin.source.startsWith("folder:");
  return (
    <div className="grid max-w-3xl grid-cols-1 gap-5">
      {folder && <Alert>{danger.folder}</Alert>}
      <Card aria-labelledby="uninstall-heading" className="grid gap-3">
        <Heading id="uninstall-heading">{danger.uninstall}</Heading>
        <p className="text-pretty text-muted">{danger.uninstallLead}</p>
        <Button variant="danger" className="justify-self-start" onClick={() => setAsked("keep")}>
          {danger.uninstallAction}
        </Button>
      </Card>
      <Card aria-labelledby="delete-heading" className="grid gap-3 border-danger/40">
        <Heading id="delete-heading">{danger.delete}</Heading>
        <p className="text-pretty text-muted">{danger.deleteLead}</p>
        <Button variant="danger" className="justify-self-start" onClick={() => setAsked("delete")}>
          {danger.deleteAction}
        </Button>
      </Card>
      {asked && <Uninstall plugin={plugin} deleting={asked === "delete"} onClose={() => setAsked(null)} />}
    </div>
  );
}

interface UninstallProps {
  plugin: PluginDetail;
  deleting: boolean;
  onClose: () => void;
}

/** Asks before a plugin is taken away, says what is lost, and asks about others that need it. */
export function Uninstall({ plugin, deleting, onClose }: UninstallProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const change = useMutation({
    mutationFn: (others?: Others) => uninstallPlugin(plugin.id, deleting, others),
    onSuccess: async ({ stillListed, dataDeleted }) => {
      notify(danger.done(plugin.name, dataDeleted, stillListed));
      onClose();
      if (!stillListed) await navigate({ to: "/plugins" });
      await client.invalidateQueries({ queryKey: ["plugins"] });
    },
  });
  const { lost } = danger;
  const needs = needsOf(change.error);
  if (needs) {
    return (
      <NeedsDialog
        names={[plugin.name]}
        needs={needs}
        wish="uninstall"
        onDecide={(others) => change.mutate(others)}
        onClose={onClose}
      />
    );
  }
  return (
    <Confirm
      title={deleting ? danger.deleteTitle(plugin.name) : danger.uninstallTitle(plugin.name)}
      action={deleting ? danger.deleteAction : danger.uninstallAction}
      typed={plugin.id}
      busy={change.isPending}
      error={change.error}
      onConfirm={() => change.mutate(undefined)}
      onClose={onClose}
    >
      <p>{deleting ? lost.deleteTitle : lost.keepTitle}</p>
      <ul className="list-disc pl-5">
        {(deleting ? lost.gone : lost.stops).map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <p className="text-muted">{deleting ? lost.forGood : lost.kept}</p>
    </Confirm>
  );
}
