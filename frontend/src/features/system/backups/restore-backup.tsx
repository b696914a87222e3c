import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { beginRestore, restoreQuery, type SystemBackup } from "@/api/system-backups";
import { exactTime } from "@/components/relative-time";
import { CheckField } from "@/components/ui/check-field";
import { Confirm } from "@/components/ui/confirm";
import { PasswordField } from "@/features/auth/password-field";
import { texts } from "@/texts";

const { backups } = texts;

export interface RestoreBackupProps {
  backup: SystemBackup;
  /** The name of this instance, which has to be typed. */
  instance: string;
  onClose: () => void;
}

/** Says what is replaced, asks for passphrase and name, and leads to where it is seen. */
export function RestoreBackup({ backup, instance, onClose }: RestoreBackupProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [passphrase, setPassphrase] = useState("");
  const [keepCurrent, setKeepCurrent] = useState(true);
  const restore = useMutation({
    mutationFn: () => beginRestore(backup.id, { passphrase, confirm: instance, keepCurrent }),
    onSuccess: async () => {
      client.removeQueries({ queryKey: restoreQuery.queryKey });
      await navigate({ to: "/restoring" });
    },
  });
  return (
    <Confirm
      title={backups.restoreTitle}
      action={backups.restoreAction}
      typed={instance}
      busy={restore.isPending}
      error={restore.error}
      onConfirm={() => restore.mutate()}
      onClose={onClose}
    >
      <p className="break-words">{backups.restoreFrom(backup.instance ?? "", exactTime(backup.createdAt))}</p>
      <ul className="list-disc pl-5">
        {backups.replaced.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <p>{backups.ends}</p>
      <PasswordField
        label={backups.passphraseOf}
        value={passphrase}
        onChange={(event) => setPassphrase(event.target.value)}
        autoComplete="off"
        required
        minLength={12}
        maxLength={256}
      />
      <CheckField
        label={backups.keepCurrent}
        help={backups.keepCurrentHelp}
        checked={keepCurrent}
        onChange={(event) => setKeepCurrent(event.target.checked)}
      />
    </Confirm>
  );
}
