import { useState } from "react";
import { type PluginVersion, rollbackPlugin } from "@/api/plugin-admin";
import { messageOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { CheckField } from "@/components/ui/check-field";
import { Dialog } from "@/components/ui/dialog";
import { texts } from "@/texts";
import { useChange } from "./use-change";

const { versions } = texts;

export interface GoBackProps {
  id: string;
  version: PluginVersion;
  onClose: () => void;
}

/** Asks before an older version replaces the one that runs, and what is to become of the data. */
export function GoBack({ id, version, onClose }: GoBackProps) {
  const [keep, setKeep] = useState(false);
  const back = useChange(
    id,
    () => rollbackPlugin(id, { version: version.version, data: keep ? "keep" : "snapshot" }),
    versions.wentBack(version.version),
    onClose,
  );
  return (
    <Dialog title={versions.backTo(version.version)} onClose={onClose}>
      <div className="grid gap-4">
        <p className="text-pretty">{version.hasSnapshot ? versions.backData : versions.backLead}</p>
        {version.settings && <p className="text-pretty">{versions.backSettings}</p>}
        {version.hasSnapshot && (
          <CheckField
            label={versions.keepData}
            help={versions.keepDataHelp}
            checked={keep}
            onChange={(event) => setKeep(event.target.checked)}
          />
        )}
        {back.isError && (
          <Alert level="error" urgent>
            {messageOf(back.error)}
          </Alert>
        )}
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button variant="danger" busy={back.isPending} onClick={() => back.mutate(undefined)}>
            {versions.back}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
