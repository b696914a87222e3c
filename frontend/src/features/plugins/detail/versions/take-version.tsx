import { useState } from "react";
import { type PluginVersion, upgradePlugin } from "@/api/plugin-admin";
import { messageOf } from "@/api/problem";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { CheckField } from "@/components/ui/check-field";
import { Dialog } from "@/components/ui/dialog";
import { texts } from "@/texts";
import { needsOf } from "../../needs";
import { NeedsDialog } from "../../needs-dialog";
import { explain } from "../overview";
import { Changelog } from "./changelog";
import { permissionChanges } from "./permission-changes";
import { useChange } from "./use-change";

const { versions } = texts;

export interface TakeVersionProps {
  id: string;
  name: string;
  installed: PluginVersion | undefined;
  version: PluginVersion;
  onClose: () => void;
}

/** Before a plugin is changed to a version that waits: what it changes, and what it may do more or less than now. */
export function TakeVersion({ id, name, installed, version, onClose }: TakeVersionProps) {
  const { asked, dropped, kept } = permissionChanges(installed, version);
  const [refused, setRefused] = useState<ReadonlySet<string>>(new Set());
  const take = useChange(
    id,
    (force: boolean) =>
      upgradePlugin(id, { version: version.version, grant: asked.filter((one) => !refused.has(one)), force }),
    null,
    ({ settled }) => {
      notify(settled ? versions.upgraded : versions.goesOn);
      onClose();
    },
  );
  const needs = needsOf(take.error);
  if (needs) {
    return (
      <NeedsDialog
        names={[name]}
        needs={needs}
        wish="upgrade"
        onDecide={() => take.mutate(true)}
        onClose={take.reset}
      />
    );
  }
  const set = (permission: string, granted: boolean) => {
    const next = new Set(refused);
    if (granted) next.delete(permission);
    else next.add(permission);
    setRefused(next);
  };
  return (
    <Dialog title={versions.takeTitle(name, version.version)} onClose={onClose}>
      <div className="grid grid-cols-1 gap-5">
        <section aria-label={versions.changes} className="grid gap-2">
          <h3 className="font-medium">{versions.changes}</h3>
          {version.changelog?.length ? (
            <Changelog entries={version.changelog} />
          ) : (
            <p className="text-sm text-muted">{versions.noChangelog}</p>
          )}
        </section>
        <section aria-label={versions.permissions} className="grid gap-2">
          <h3 className="font-medium">{versions.permissions}</h3>
          {asked.length > 0 && (
            <fieldset className="grid gap-3">
              <legend className="mb-2 text-sm text-muted">{versions.asked}</legend>
              {asked.map((permission) => (
                <CheckField
                  key={permission}
                  label={explain(permission) ?? permission}
                  help={permission}
                  checked={!refused.has(permission)}
                  onChange={(event) => set(permission, event.target.checked)}
                />
              ))}
            </fieldset>
          )}
          {dropped.length > 0 && <Named title={versions.dropped} permissions={dropped} />}
          {asked.length + dropped.length === 0 && (
            <p className="text-sm text-muted">{versions.samePermissions(kept.length)}</p>
          )}
        </section>
        {take.isError && (
          <Alert level="error" urgent>
            {messageOf(take.error)}
          </Alert>
        )}
        <div className="flex flex-wrap justify-end gap-3">
          <Button onClick={onClose}>{versions.notNow}</Button>
          <Button variant="primary" busy={take.isPending} onClick={() => take.mutate(false)}>
            {take.isPending ? versions.upgrading : asked.length > 0 ? versions.agree : versions.upgrade}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

const Named = ({ title, permissions }: { title: string; permissions: readonly string[] }) => (
  <div className="grid gap-2 text-sm">
    <p className="text-muted">{title}</p>
    <ul className="grid gap-2">
      {permissions.map((permission) => (
        <li key={permission}>
          {explain(permission)}
          <code className="block font-mono text-xs text-muted">{permission}</code>
        </li>
      ))}
    </ul>
  </div>
);
