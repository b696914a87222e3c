import { queryOptions } from "@tanstack/react-query";
import { sendFile, type Upload } from "./backups";
import { unwrap } from "./client";
import {
  type SystemBackup,
  type SystemRestore,
  type SystemRestoreRequest,
  systemBackupsDelete,
  systemBackupsList,
  systemBackupsMake,
  systemBackupsRestore,
  systemBackupsRestoreStatus,
} from "./generated";

export type { SystemBackup, SystemRestore };

const UNDER_WAY_MS = 1_000;
const TICKET = "nimbus-restore-ticket";

/** What is kept, and what is under way: looked at often as long as something is. */
export const systemBackupsQuery = queryOptions({
  queryKey: ["system-backups"],
  queryFn: ({ signal }) => unwrap(systemBackupsList({ signal })),
  refetchInterval: ({ state }) =>
    state.data?.items.some((item) => item.state === "making") || state.data?.restore?.state === "running"
      ? UNDER_WAY_MS
      : false,
});

export const makeSystemBackup = (passphrase: string) => unwrap(systemBackupsMake({ body: { passphrase } }));
export const deleteSystemBackup = (id: string) => unwrap(systemBackupsDelete({ path: { backup_id: id } }));
export const uploadSystemBackup = (upload: Upload) => sendFile<SystemBackup>("/api/admin/backups/upload", upload);
export const fileOf = (id: string) => `/api/admin/backups/${encodeURIComponent(id)}/file`;

/** Begin a restore. All sessions end by it, so what shows how it goes on is kept in this tab. */
export async function beginRestore(id: string, body: SystemRestoreRequest): Promise<void> {
  const started = await unwrap(systemBackupsRestore({ path: { backup_id: id }, body }));
  sessionStorage.setItem(TICKET, started.ticket);
}

/** How the restore goes that was begun in this tab; null when none was. Asked again while nobody answers. */
export const restoreQuery = queryOptions({
  queryKey: ["system-restore"],
  queryFn: async ({ signal }): Promise<SystemRestore | null> => {
    const ticket = sessionStorage.getItem(TICKET);
    if (!ticket) return null;
    return unwrap(systemBackupsRestoreStatus({ headers: { "X-Nimbus-Restore-Ticket": ticket }, signal }));
  },
  refetchInterval: ({ state }) =>
    state.data === null || (state.data && state.data.state !== "running") ? false : UNDER_WAY_MS,
  gcTime: 0,
  staleTime: 0,
});
