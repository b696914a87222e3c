import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { restoreBackup } from "@/api/backups";
import type { PluginDetail } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { notify } from "@/components/toasts";
import { texts } from "@/texts";

interface Upload {
  file: File;
  controller: AbortController;
  sent: number;
}

/** Nothing takes back what has arrived whole. */
function takeBack(upload: Upload | null): void {
  if (upload && upload.sent < upload.file.size) upload.controller.abort();
}

/** The restoring of a backup: how much of it has left, and the way to take it back until it has left whole. */
export function useRestore(plugin: Pick<PluginDetail, "id" | "name">) {
  const client = useQueryClient();
  const [sent, setSent] = useState(0);
  const upload = useRef<Upload | null>(null);
  const gone = useRef(false);
  // Whoever leaves was asked, and takes back what has not arrived. What has goes on, and its end is told.
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
      takeBack(upload.current);
    };
  }, []);

  const restore = useMutation({
    mutationFn: ({ file, anyVersion }: { file: File; anyVersion: boolean }) => {
      const current: Upload = { file, controller: new AbortController(), sent: 0 };
      upload.current = current;
      setSent(0);
      const { signal } = current.controller;
      const onSent = (bytes: number) => {
        current.sent = bytes;
        setSent(bytes);
      };
      return restoreBackup(plugin.id, { file, anyVersion, signal, onSent });
    },
    onSuccess: () => {
      notify(texts.data.done(plugin.name));
      return client.invalidateQueries({ queryKey: ["plugins"] });
    },
    onError: (error) => {
      if (gone.current && error.name !== "AbortError") notify(`${texts.data.failed}. ${messageOf(error)}`);
    },
  });
  const size = restore.variables?.file.size ?? 0;
  return {
    ...restore,
    sent,
    size,
    uploading: restore.isPending && sent < size,
    cancel: () => takeBack(upload.current),
  };
}
