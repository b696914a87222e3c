import { texts } from "@/texts";
import type { Problem } from "./generated";

export type { Problem };

/** A call that failed, with the problem body that the gateway sent (RFC 9457). */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  /** HTTP status; 0 when no answer arrived. */
  readonly status: number;
  /** Stable URI such as `/problems/plugin-failed`; empty when the body was no problem. */
  readonly type: string;
  readonly problem: Problem | null;
  /** Seconds after which the server wants to hear from us again. */
  readonly retryAfter: number | null;

  constructor(status: number, problem: Problem | null, retryAfter: number | null = null) {
    super(inWords(status, problem));
    this.status = status;
    this.type = problem?.type ?? "";
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

function inWords(status: number, problem: Problem | null): string {
  if (status === 0) return texts.common.networkError;
  if (!problem) return `${texts.common.unknownError} (HTTP ${status})`;
  return problem.detail ?? texts.problems[problem.type] ?? problem.title;
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "type" in body && "title" in body;
}

/** The error for an answer that is not a success. */
export function problemOf(body: unknown, response: Response | undefined): ApiProblem {
  const header = Number.parseInt(response?.headers.get("retry-after") ?? "", 10);
  return new ApiProblem(
    response?.status ?? 0,
    isProblem(body) ? body : null,
    Number.isFinite(header) ? header : null,
  );
}

/** The field that a path leads to, or the list of which it names an entry. */
const fieldOf = (path: string): string | undefined =>
  path
    .replace(/(\/\d+)+$/, "")
    .split("/")
    .at(-1);

/** What the server says of one field of a form, or of an entry of it. */
export function fieldError(error: unknown, name: string): string | undefined {
  if (!(error instanceof ApiProblem)) return undefined;
  return error.problem?.errors?.find((item) => fieldOf(item.path) === name)?.message;
}

/** How long to wait when there were too many attempts, in words. */
export function withWait(error: unknown): string | undefined {
  if (!(error instanceof ApiProblem) || error.status !== 429 || !error.retryAfter) return undefined;
  return texts.signIn.limited(error.retryAfter);
}

/** What to show a person for any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof Error && error.message) return error.message;
  return texts.common.unknownError;
}
