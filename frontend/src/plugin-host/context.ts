import { createContext, useContext } from "react";
import type { PluginPageProps } from "./types";

export const PluginContext = createContext<PluginPageProps | null>(null);

/**
 * The props of the page or slot round this component, from any depth.
 *
 * @throws {Error} used outside a plugin's page or slot.
 */
export function usePlugin(): PluginPageProps {
  const context = useContext(PluginContext);
  if (!context) throw new Error("usePlugin works inside a plugin's page or slot only");
  return context;
}
