/**
 * `react/jsx-dev-runtime` as plugin bundles see it.
 *
 * React's production build leaves `jsxDEV` undefined; a bundle that was built for development still has to run, so
 * it falls back to the ordinary runtime.
 */
import type { ElementType, Key, ReactElement } from "react";
import * as development from "react/jsx-dev-runtime";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";

type JsxDev = (type: ElementType, props: unknown, key: Key | undefined, isStatic: boolean) => ReactElement;

const provided = (development as { jsxDEV?: JsxDev }).jsxDEV;

const fallback: JsxDev = (type, props, key, isStatic) => (isStatic ? jsxs : jsx)(type, props, key);

export const jsxDEV: JsxDev = provided ?? fallback;
export { Fragment };
