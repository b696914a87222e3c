import { type MutationKey, useMutationState } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { type DeadLetter, discardLetter, retryLetter, retryLetters } from "@/api/events";
import { messageOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Confirm } from "@/components/ui/confirm";
import { texts } from "@/texts";
import { useDelivery } from "./use-delivery";

const { events } = texts;

export interface Letters {
  /** One is delivered again. */
  retry: (letter: DeadLetter) => void;
  /** All of a subscriber are. */
  retryAll: (subscriber: string) => void;
  /** Asks whether one may be forgotten. */
  discard: (letter: DeadLetter) => void;
  isRetrying: (letter: DeadLetter) => boolean;
  isRetryingAll: (subscriber: string) => boolean;
  /** Why a delivery could not be tried again, until something else is done; for above the list. */
  failure: ReactNode;
  /** The question about what is to be discarded, for below it. */
  question: ReactNode;
}

const ONE = ["letters", "retry"];
const ALL = ["letters", "retry-all"];

/** What the runs of an action that are under way were given. An action itself knows of its latest only. */
const useUnderWay = (mutationKey: MutationKey): unknown[] =>
  useMutationState({
    filters: { mutationKey, status: "pending" },
    select: ({ state }) => state.variables,
  });

/** What can be done with deliveries that were given up, wherever they are listed. */
export function useLetters(): Letters {
  const [asked, setAsked] = useState<DeadLetter | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);
  const onMutate = () => setFailed(null);
  const told = { onMutate, onError: setFailed };
  const retry = useDelivery(retryLetter, events.queued, undefined, { mutationKey: ONE, ...told });
  const all = useDelivery(retryLetters, events.queued, undefined, { mutationKey: ALL, ...told });
  const discard = useDelivery(discardLetter, events.discarded, () => setAsked(null), { onMutate });
  const retrying = useUnderWay(ONE);
  const retryingAll = useUnderWay(ALL);
  return {
    retry: (letter) => retry.mutate(letter.id),
    retryAll: (subscriber) => all.mutate(subscriber),
    discard: (letter) => {
      discard.reset(); // what was wrong with another is not said of this one
      setAsked(letter);
    },
    isRetrying: (letter) => retrying.includes(letter.id),
    isRetryingAll: (subscriber) => retryingAll.includes(subscriber),
    failure: failed && (
      <Alert level="error" urgent>
        {messageOf(failed)}
      </Alert>
    ),
    question: asked && (
      <Confirm
        title={events.discardOf(asked.event.type)}
        action={events.discard}
        busy={discard.isPending}
        error={discard.error}
        onConfirm={() => discard.mutate(asked.id)}
        onClose={() => setAsked(null)}
      >
        <p>{events.discardLead}</p>
      </Confirm>
    ),
  };
}
