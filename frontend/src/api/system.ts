import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import { type Configuration, healthReady, type Readiness, systemConfiguration } from "./generated";
import { ApiProblem } from "./problem";

export type { Configuration, Readiness };

/** The state of each thing that Nimbus depends on; an answer of 503 tells it too. */
export const readinessQuery = queryOptions({
  queryKey: ["readiness"],
  queryFn: async ({ signal }): Promise<Readiness> => {
    const { data, error, response } = await healthReady({ signal });
    const found = (data ?? error) as Readiness | undefined;
    if (!response || !found || !("checks" in found)) throw new ApiProblem(response?.status ?? 0, null);
    return found;
  },
  refetchInterval: 10_000,
});

export const configurationQuery = queryOptions({
  queryKey: ["configuration"],
  queryFn: ({ signal }) => unwrap(systemConfiguration({ signal })),
});
