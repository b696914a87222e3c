import { unwrap } from "./client";
import { type AuditRecord, auditList } from "./generated";
import { pagedQuery } from "./paging";

export type { AuditRecord };

export interface AuditFilter {
  action?: string;
  target?: string;
}

export const auditQuery = (filter: AuditFilter = {}, limit = 100) =>
  pagedQuery<AuditRecord>(["audit", filter, limit], (cursor, signal) =>
    unwrap(auditList({ query: { limit, ...filter, ...(cursor && { cursor }) }, signal })),
  );
