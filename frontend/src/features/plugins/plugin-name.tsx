import { Link } from "@tanstack/react-router";

/** A plugin's name that leads to its page. */
export const PluginName = ({ id, name }: { id: string; name: string }) => (
  <Link
    to="/manage/plugins/$pluginId"
    params={{ pluginId: id }}
    className="truncate rounded font-medium hover:underline hover:underline-offset-4"
  >
    {name}
  </Link>
);
