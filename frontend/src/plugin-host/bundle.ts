import type { ComponentType } from "react";
import { texts } from "@/texts";
import type { PluginPageProps } from "./types";

export type PluginComponent = ComponentType<PluginPageProps>;

/** A bundle loaded well and still does not fit: what it exports is not what was asked for. */
export class BundleContractError extends Error {
  override readonly name = "BundleContractError";
}

/** The bundle could not be fetched, or is not valid JavaScript. */
export class BundleLoadError extends Error {
  override readonly name = "BundleLoadError";
}

/** What a page or slot of the manifest asks for. */
export interface Wanted {
  kind: "pages" | "slots";
  exportName: string;
  /** Page path or slot target, by which a definition may list its components too. */
  at: string;
}

function isComponent(value: unknown): value is PluginComponent {
  return typeof value === "function" || (typeof value === "object" && value !== null && "$$typeof" in value);
}

function isDefinition(value: unknown): value is { apiVersion: unknown } & Record<string, unknown> {
  return typeof value === "object" && value !== null && "apiVersion" in value;
}

/**
 * The component that a bundle gives for a page or slot.
 *
 * A default export of the form `{ apiVersion: 1, pages, slots }` lists components by export name, page path or slot
 * target; without one, the module's export of that name is the component.
 *
 * @throws {BundleContractError} there is none, or the bundle wants another interface.
 */
export function pickComponent(module: Record<string, unknown>, wanted: Wanted): PluginComponent {
  const definition = module.default;
  if (isDefinition(definition)) {
    if (definition.apiVersion !== 1) {
      throw new BundleContractError(texts.host.wrongApiVersion(String(definition.apiVersion)));
    }
    const listed = definition[wanted.kind];
    if (typeof listed === "object" && listed !== null) {
      for (const key of [wanted.exportName, wanted.at]) {
        const component = Object.hasOwn(listed, key) ? (listed as Record<string, unknown>)[key] : undefined;
        if (isComponent(component)) return component;
      }
    }
  }
  const exported = module[wanted.exportName];
  if (isComponent(exported) && !isDefinition(exported)) return exported;
  throw new BundleContractError(texts.host.missingExport(wanted.exportName));
}
