/** Not part of the package: what `npm run ui:check` compiles against it, as an author's page would be. */
import {
  Alert,
  ApiProblem,
  Badge,
  Button,
  Card,
  Columns,
  Field,
  Heading,
  Link,
  Page,
  type PluginComponent,
  type PluginPageProps,
  readAnswer,
  Spinner,
  Stack,
  Text,
  useApi,
  usePlugin,
} from "@nimbus/ui";
import { external } from "@nimbus/ui/external";

export const modules: string[] = external;

export default function Films({ api, user, navigate, params }: PluginPageProps) {
  const films = useApi<{ title: string }[]>("films", { lazy: true });
  const { theme, plugin } = usePlugin();
  const add = async () => {
    try {
      const made = await readAnswer<{ id: string }>(await api("films", { method: "POST" }));
      navigate(`/films/${made.id}`, { replace: true });
    } catch (error) {
      if (error instanceof ApiProblem) throw new Error(`${error.status} ${error.problem?.detail}`);
    }
  };
  return (
    <Page title={plugin.name} lead={user.role === "admin" ? theme : params.name} actions={<Spinner label="Busy" />}>
      <Stack>
        <Text muted>{films.error?.message}</Text>
        <Alert level="error" title="No" urgent />
        <Badge tone="positive">{films.data?.[0]?.title}</Badge>
      </Stack>
      <Columns>
        <Card>
          <Heading level={2}>Films</Heading>
          <Field label="Title" help="As it is spoken" required />
          <Link to="/items/3">Three</Link>
          <Button variant="primary" size="small" busy={films.loading} onClick={add}>
            Add
          </Button>
          {/* @ts-expect-error there is no such variant */}
          <Button variant="purple" />
          {/* @ts-expect-error a field has a label */}
          <Field />
        </Card>
      </Columns>
    </Page>
  );
}

export const widget: PluginComponent = Films;

// @ts-expect-error a role is one of two
export const nobody: PluginPageProps["user"]["role"] = "owner";
