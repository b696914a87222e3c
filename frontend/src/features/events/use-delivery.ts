import { type UseMutationOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { notify } from "@/components/toasts";

/** Of each run of an action, also of those that were begun before the latest. */
type Watch<Input> = Pick<UseMutationOptions<unknown, Error, Input>, "mutationKey" | "onMutate" | "onError">;

/** An action on deliveries: says what came of it, and reads anew what it changed. */
export function useDelivery<Input>(
  action: (input: Input) => Promise<unknown>,
  done: string,
  then?: () => void,
  watch?: Watch<Input>,
) {
  const client = useQueryClient();
  return useMutation({
    ...watch,
    mutationFn: action,
    onSuccess: async () => {
      notify(done);
      then?.();
      await client.invalidateQueries({ queryKey: ["events"] });
    },
  });
}
