export interface PageMatch<Page> {
  page: Page;
  params: Record<string, string>;
}

const segmentsOf = (path: string): string[] => path.split("/").filter(Boolean);

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

/**
 * The page for a path within a plugin. `:name` takes one segment; literal segments win over parameters, leftmost
 * first. A slash at the end does not count.
 */
export function matchPage<Page extends { path: string }>(
  pages: readonly Page[],
  path: string,
): PageMatch<Page> | null {
  const given = segmentsOf(path);
  let best: (PageMatch<Page> & { key: string }) | null = null;
  for (const page of pages) {
    const pattern = segmentsOf(page.path);
    if (pattern.length !== given.length) continue;
    const params: Record<string, string> = {};
    const fits = pattern.every((part, index) => {
      const value = decode(given[index] ?? "");
      if (value === null) return false;
      if (!part.startsWith(":")) return part === value;
      params[part.slice(1)] = value;
      return true;
    });
    const key = pattern.map((part) => (part.startsWith(":") ? "1" : "0")).join("");
    if (fits && (!best || key < best.key)) best = { page, params, key };
  }
  return best && { page: best.page, params: best.params };
}
