import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { messageOf } from "@/api/problem";
import { makeSystemBackup, systemBackupsQuery } from "@/api/system-backups";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { PasswordField } from "@/features/auth/password-field";
import { texts } from "@/texts";

const { backups } = texts;
export const SHORTEST = 12;

/** Asks for the passphrase, twice, and begins. */
export function MakeBackup({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [wrong, setWrong] = useState<{ passphrase?: string; repeat?: string }>({});
  const make = useMutation({
    mutationFn: makeSystemBackup,
    onSuccess: async () => {
      notify(backups.begun);
      onClose();
      await client.invalidateQueries({ queryKey: systemBackupsQuery.queryKey });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (make.isPending) return;
    const data = new FormData(event.currentTarget);
    const passphrase = String(data.get("passphrase"));
    const short = passphrase.length < SHORTEST;
    const differs = passphrase !== String(data.get("repeat"));
    setWrong({
      ...(short && { passphrase: backups.passphraseShort }),
      ...(!short && differs && { repeat: backups.repeatDiffers }),
    });
    if (!short && !differs) make.mutate(passphrase);
  };
  return (
    <Dialog title={backups.makeTitle} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4" noValidate>
        <p className="text-pretty text-muted">{backups.makeLead}</p>
        <PasswordField
          label={backups.passphrase}
          name="passphrase"
          help={backups.passphraseHelp}
          error={wrong.passphrase}
          autoComplete="new-password"
          maxLength={256}
        />
        <PasswordField
          label={backups.repeat}
          name="repeat"
          error={wrong.repeat}
          autoComplete="new-password"
          maxLength={256}
        />
        {make.isError && (
          <Alert level="error" urgent>
            {messageOf(make.error)}
          </Alert>
        )}
        <div className="flex flex-wrap justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={make.isPending}>
            {backups.begin}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
