import type { RestoreResult } from "./generated";
import { ApiProblem, problemOf } from "./problem";

export type { RestoreResult };

const addressOf = (id: string) => `/api/admin/plugins/${encodeURIComponent(id)}`;

/** How long a file that was handed to the browser stays readable; it has begun to save it by then. */
const HANDED_OVER_MS = 60_000;

/**
 * Make a backup and let the browser save it. Not by a link: whoever makes one stops the plugin, so it is a POST.
 *
 * @throws {ApiProblem} it was refused, or no answer arrived.
 */
export async function downloadBackup(id: string, signal: AbortSignal): Promise<void> {
  const failed = (error: unknown) => {
    if (signal.aborted) throw error;
    throw new ApiProblem(0, null);
  };
  const response = await fetch(`${addressOf(id)}/backup`, { method: "POST", signal }).catch(failed);
  if (!response.ok) throw problemOf(await response.json().catch(() => null), response);
  const named = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "");
  const url = URL.createObjectURL(await response.blob().catch(failed));
  const link = document.createElement("a");
  link.href = url;
  link.download = named?.[1] ?? `${id}.nimbus-backup.tar`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), HANDED_OVER_MS);
}

export interface Upload {
  file: File;
  /** Takes the upload back. What has arrived whole is used all the same. */
  signal: AbortSignal;
  /** How many bytes have left. */
  onSent: (bytes: number) => void;
}

export interface RestoreRequest extends Upload {
  /** Also into another version than the backup's. */
  anyVersion: boolean;
}

/**
 * Send a backup to be restored.
 *
 * @throws as {@link sendFile}.
 */
export const restoreBackup = (id: string, { anyVersion, ...upload }: RestoreRequest): Promise<RestoreResult> =>
  sendFile(`${addressOf(id)}/restore${anyVersion ? "?anyVersion=true" : ""}`, upload);

/**
 * Send a backup. By XMLHttpRequest, because `fetch` does not tell how far an upload is.
 *
 * @throws {ApiProblem} it was refused, or no answer arrived.
 * @throws {DOMException} `AbortError`: it was taken back.
 */
export function sendFile<Answer>(address: string, { file, signal, onSent }: Upload): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const cancel = () => request.abort();
    request.open("POST", address);
    request.setRequestHeader("content-type", "application/x-tar");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded }) => onSent(Math.min(loaded, file.size));
    request.upload.onload = () => onSent(file.size);
    request.onload = () => {
      const { status, response } = request;
      if (status >= 200 && status < 300) return resolve(response as Answer);
      const retryAfter = request.getResponseHeader("retry-after");
      const headers = new Headers(retryAfter === null ? [] : [["retry-after", retryAfter]]);
      reject(problemOf(response, new Response(null, { status, headers })));
    };
    request.onerror = () => reject(new ApiProblem(0, null));
    request.onabort = () => reject(new DOMException("The upload was taken back.", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", cancel);
    signal.addEventListener("abort", cancel);
    request.send(file);
  });
}
