import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useState } from "react";
import { systemQuery } from "@/api/session";
import { useLiveStatus, usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { Alert } from "../ui/alert";
import { Button } from "../ui/button";

const KEY = "nimbus-hidden-notices";

function readHidden(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((item) => typeof item === "string") : [];
  } catch {
    return [];
  }
}

/** What the gateway says that people should know. What is only information may be hidden by who has read it. */
export function Notices() {
  const polling = usePolling();
  const status = useLiveStatus();
  const { data: system } = useQuery({ ...systemQuery, refetchInterval: polling });
  const [hidden, setHidden] = useState(readHidden);
  const shown = (system?.notices ?? []).filter((notice) => !hidden.includes(notice.message));
  if (shown.length === 0 && status !== "offline") return null;

  const hide = (message: string) => {
    const next = [...hidden, message];
    setHidden(next);
    try {
      localStorage.setItem(KEY, JSON.stringify(next));
    } catch {
      // Without storage it is hidden until the page is loaded again.
    }
  };
  return (
    <section aria-label={texts.notices.region} className="mb-6 grid gap-2">
      {status === "offline" && (
        <Alert level="error" title={texts.live.offline}>
          {texts.live.offlineDetail}
        </Alert>
      )}
      {shown.map((notice) => (
        <Alert
          key={notice.message}
          level={notice.level}
          actions={
            notice.level === "info" && (
              <Button
                variant="ghost"
                size="icon-small"
                aria-label={texts.notices.dismiss}
                onClick={() => hide(notice.message)}
              >
                <X aria-hidden="true" />
              </Button>
            )
          }
        >
          {notice.message}
        </Alert>
      ))}
    </section>
  );
}
