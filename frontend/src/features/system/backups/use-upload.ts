import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { messageOf } from "@/api/problem";
import { systemBackupsQuery, uploadSystemBackup } from "@/api/system-backups";
import { notify } from "@/components/toasts";
import { texts } from "@/texts";

const { backups } = texts;

/** The sending of a backup: how much of it has left, and the way to take it back. Who leaves takes it back too. */
export function useUpload() {
  const client = useQueryClient();
  const [sent, setSent] = useState(0);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);
  const upload = useMutation({
    mutationFn: (file: File) => {
      controller.current = new AbortController();
      setSent(0);
      return uploadSystemBackup({ file, signal: controller.current.signal, onSent: setSent });
    },
    onSuccess: () => {
      notify(backups.uploaded);
      return client.invalidateQueries({ queryKey: systemBackupsQuery.queryKey });
    },
    onError: (error) => {
      if (error.name !== "AbortError") notify(`${backups.uploadFailed}. ${messageOf(error)}`);
    },
  });
  const size = upload.variables?.size ?? 0;
  return {
    ...upload,
    sent,
    size,
    uploading: upload.isPending && sent < size,
    cancel: () => controller.current?.abort(),
  };
}
