/** Modules that come from the dashboard: give this to the bundler as `external`. */
export declare const external: string[];
