import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { haveHeardOf } from "@/api/client";
import { sessionQuery } from "@/api/session";
import { announce } from "@/components/announcer";
import { texts } from "@/texts";
import { applyEvent } from "./apply";
import { LiveConnection, type LiveStatus } from "./connection";

const LiveContext = createContext<LiveStatus>("connecting");

/** Opens the event stream for as long as somebody is signed in, and keeps the cache up to date with it. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [status, setStatus] = useState<LiveStatus>("connecting");

  useEffect(() => {
    const connection = new LiveConnection({
      onStatus: (next, previous) => {
        if (next === "offline") announce(texts.live.wentOffline);
        if (previous === "catching-up" && next === "live") announce(texts.live.backOnline);
        setStatus(next);
      },
      onId: haveHeardOf,
      onEvent: (name, data) => {
        void applyEvent(client, name, data).then(() => {
          if (name === "reset") connection.caughtUp();
        });
      },
      // The usual cause is a session that has ended; asking who is signed in finds out.
      onRefused: () => void client.invalidateQueries({ queryKey: sessionQuery.queryKey }),
    });
    connection.start();
    return () => connection.stop();
  }, [client]);

  return <LiveContext value={status}>{children}</LiveContext>;
}

export const useLiveStatus = () => useContext(LiveContext);

/** How often to ask when the stream cannot tell; `false` while it can. */
export function usePolling(): number | false {
  const status = useLiveStatus();
  return status === "live" || status === "catching-up" ? false : 5_000;
}
