/** `react/jsx-runtime` as plugin bundles see it: the dashboard's own. */
export { Fragment, jsx, jsxs } from "react/jsx-runtime";
