/**
 * `react` as plugin bundles see it: the dashboard's own, with every name written out.
 *
 * React is CommonJS, and `export *` of it is empty in an ES module. A test compares this list with React's.
 */
import React from "react";

export {
  Activity,
  act,
  addTransitionType,
  Children,
  Component,
  cache,
  cacheSignal,
  captureOwnerStack,
  cloneElement,
  createContext,
  createElement,
  createRef,
  Fragment,
  forwardRef,
  isValidElement,
  lazy,
  memo,
  Profiler,
  PureComponent,
  StrictMode,
  Suspense,
  startTransition,
  use,
  useActionState,
  useCallback,
  useContext,
  useDebugValue,
  useDeferredValue,
  useEffect,
  useEffectEvent,
  useId,
  useImperativeHandle,
  useInsertionEffect,
  useLayoutEffect,
  useMemo,
  useOptimistic,
  useReducer,
  useRef,
  useState,
  useSyncExternalStore,
  useTransition,
  ViewTransition,
  version,
} from "react";

const internals = React as unknown as Record<string, unknown>;

/** Bundles made with the React compiler reach their cache through this. */
export const __COMPILER_RUNTIME = internals.__COMPILER_RUNTIME;
export const unstable_useCacheRefresh = internals.unstable_useCacheRefresh;
export const __CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE =
  internals.__CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE;

export default React;
