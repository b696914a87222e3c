import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { endSession, sessionsQuery } from "@/api/access";
import { messageOf } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { notify } from "@/components/toasts";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { SessionList } from "./session-list";

const { sessions } = texts;

/** Where one is signed in oneself, to be ended one by one; the browser that asks is left by signing out. */
export function SessionsCard() {
  const query = useQuery(sessionsQuery);
  const client = useQueryClient();
  const end = useMutation({
    mutationFn: endSession,
    onSuccess: async () => {
      notify(sessions.ended);
      await client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
    },
    onError: (error) => notify(messageOf(error)),
  });
  return (
    <Card aria-labelledby="sessions-heading">
      <Heading id="sessions-heading">{sessions.title}</Heading>
      <p className="mt-1 mb-5 text-pretty text-muted">{sessions.lead}</p>
      <Loaded query={query} failed={sessions.loadFailed}>
        {(items) => (
          <SessionList
            label={sessions.title}
            items={items}
            action={(session, device) =>
              !session.current && (
                <Button
                  size="small"
                  busy={end.isPending && end.variables === session.id}
                  aria-label={sessions.endOf(device)}
                  onClick={() => end.mutate(session.id)}
                >
                  {sessions.end}
                </Button>
              )
            }
          />
        )}
      </Loaded>
    </Card>
  );
}
