import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type AdminUser, endSessionsOf, sessionsOfQuery } from "@/api/access";
import { messageOf } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { SessionList } from "@/features/account/session-list";
import { texts } from "@/texts";

const { sessions } = texts;

/** Where a person is signed in, to be ended altogether. */
export function SessionsOf({ person, onClose }: { person: AdminUser; onClose: () => void }) {
  const query = useQuery(sessionsOfQuery(person.id));
  const client = useQueryClient();
  const end = useMutation({
    mutationFn: () => endSessionsOf(person.id),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: sessionsOfQuery(person.id).queryKey });
      notify(sessions.endedAll(person.username));
      onClose();
    },
  });
  const ending = query.data?.some((session) => !session.current) ?? false;
  return (
    <Dialog title={sessions.titleOf(person.username)} onClose={onClose}>
      <div className="grid gap-4">
        <Loaded query={query} failed={sessions.loadFailed}>
          {(items) => <SessionList label={sessions.titleOf(person.username)} items={items} />}
        </Loaded>
        {ending && <p className="text-sm text-pretty text-muted">{sessions.endAllLead}</p>}
        {end.isError && (
          <Alert level="error" urgent>
            {messageOf(end.error)}
          </Alert>
        )}
        <div className="flex flex-wrap justify-end gap-3">
          <Button onClick={onClose}>{texts.common.close}</Button>
          {ending && (
            <Button variant="danger" busy={end.isPending} onClick={() => end.mutate()}>
              {sessions.endAll}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
