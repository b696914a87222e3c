import { useMutation, useQueryClient } from "@tanstack/react-query";
import { versionsQuery } from "@/api/plugin-admin";
import { pluginQuery } from "@/api/plugins";
import { notify } from "@/components/toasts";

/** A change of a plugin's versions: says what came of it, and reads anew what it changed. */
export function useChange<Input, Answer>(
  id: string,
  action: (input: Input) => Promise<Answer>,
  done: string | null,
  onDone?: (answer: Answer, input: Input) => void,
) {
  const client = useQueryClient();
  const again = () =>
    Promise.all([
      client.invalidateQueries({ queryKey: versionsQuery(id).queryKey }),
      client.invalidateQueries({ queryKey: pluginQuery(id).queryKey }),
      client.invalidateQueries({ queryKey: ["plugins", "permissions", id] }),
    ]);
  return useMutation({
    mutationFn: action,
    onSuccess: (answer, input) => {
      if (done !== null) notify(done);
      onDone?.(answer, input);
    },
    onSettled: again,
  });
}
