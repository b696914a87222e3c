import { useCallback, useEffect, useRef, useState } from "react";
import { problemOf } from "@/api/problem";
import { usePlugin } from "./context";

export interface ApiState<Data> {
  data: Data | undefined;
  /** Its `message` is fit to be shown; an `ApiProblem` also has `status` and `problem`. */
  error: Error | undefined;
  loading: boolean;
  /** Call (again). Resolves when the answer is there; never rejects. */
  reload: () => Promise<void>;
}

export interface ApiOptions extends RequestInit {
  /** Do not call by itself; wait for `reload`. */
  lazy?: boolean;
}

/**
 * The body of an answer: parsed JSON, else text; nothing when the answer has none.
 *
 * @throws {ApiProblem} the answer is not a success; its message is the problem's detail.
 */
export async function readAnswer<Data = unknown>(response: Response): Promise<Data> {
  if (response.status === 204) return undefined as Data;
  const json = /[/+]json\b/i.test(response.headers.get("content-type") ?? "");
  const body: unknown = json ? await response.json() : await response.text();
  if (!response.ok) throw problemOf(body, response);
  return body as Data;
}

/** Reads one of the plugin's own routes, and again when the path changes. An answer that was overtaken is dropped. */
export function useApi<Data = unknown>(path: string, { lazy = false, ...init }: ApiOptions = {}): ApiState<Data> {
  const { api } = usePlugin();
  const [state, setState] = useState<Omit<ApiState<Data>, "reload">>({
    data: undefined,
    error: undefined,
    loading: !lazy,
  });
  const latest = useRef<AbortController | null>(null);
  const options = useRef(init);
  options.current = init;

  const reload = useCallback(async () => {
    latest.current?.abort();
    const call = new AbortController();
    latest.current = call;
    setState((previous) => ({ ...previous, loading: true }));
    try {
      const data = await readAnswer<Data>(await api(path, { ...options.current, signal: call.signal }));
      if (!call.signal.aborted) setState({ data, error: undefined, loading: false });
    } catch (thrown) {
      if (call.signal.aborted) return;
      const error = thrown instanceof TypeError && !navigator.onLine ? problemOf(null, undefined) : thrown;
      setState({ data: undefined, error: error instanceof Error ? error : new Error(String(error)), loading: false });
    }
  }, [api, path]);

  useEffect(() => {
    if (!lazy) void reload();
    return () => latest.current?.abort();
  }, [lazy, reload]);

  return { ...state, reload };
}
