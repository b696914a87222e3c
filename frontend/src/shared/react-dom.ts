/** `react-dom` as plugin bundles see it: the dashboard's own, with every name written out (see `react.ts`). */
import ReactDOM from "react-dom";

export {
  createPortal,
  flushSync,
  preconnect,
  prefetchDNS,
  preinit,
  preinitModule,
  preload,
  preloadModule,
  requestFormReset,
  unstable_batchedUpdates,
  useFormState,
  useFormStatus,
  version,
} from "react-dom";

const internals = ReactDOM as unknown as Record<string, unknown>;

export const browser = internals.browser;
export const __DOM_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE =
  internals.__DOM_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE;

export default ReactDOM;
