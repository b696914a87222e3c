import { useMutation, useQueryClient } from "@tanstack/react-query";
import { deleteSystemBackup, type SystemBackup, systemBackupsQuery } from "@/api/system-backups";
import { exactTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Confirm } from "@/components/ui/confirm";
import { texts } from "@/texts";

const { backups } = texts;

export function DeleteBackup({ backup, onClose }: { backup: SystemBackup; onClose: () => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteSystemBackup(backup.id),
    onSuccess: async () => {
      notify(backups.removed);
      onClose();
      await client.invalidateQueries({ queryKey: systemBackupsQuery.queryKey });
    },
  });
  return (
    <Confirm
      title={backups.removeTitle}
      action={backups.remove}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{backups.removeLead(exactTime(backup.createdAt))}</p>
    </Confirm>
  );
}
