import { client } from "./generated/client.gen";
import { ApiProblem, problemOf } from "./problem";

client.setConfig({ baseUrl: "", credentials: "same-origin", cache: "no-store" });

let heardOf = "";

/**
 * From now on ask for answers that know at least what the event with this id told: the gateway has several workers,
 * and the one that answers may be a moment behind the one whose event made us ask.
 */
export function haveHeardOf(eventId: string): void {
  heardOf = eventId;
}

client.interceptors.request.use((request) => {
  if (heardOf) request.headers.set("X-Nimbus-Generation", heardOf);
  return request;
});

interface Outcome<Data> {
  data?: Data | undefined;
  error?: unknown;
  response?: Response | undefined;
}

/**
 * The data of a generated call.
 *
 * @throws {ApiProblem} the answer is not a success, or none arrived.
 */
export async function unwrap<Data>(call: Promise<Outcome<Data>>): Promise<Data> {
  let outcome: Outcome<Data>;
  try {
    outcome = await call;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiProblem(0, null);
  }
  if (!outcome.response?.ok) throw problemOf(outcome.error, outcome.response);
  return outcome.data as Data;
}
