import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { ChevronsUpDown, CircleUser, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { useCallback, useState } from "react";
import { messageOf } from "@/api/problem";
import { sessionQuery, signOut, type User } from "@/api/session";
import { texts } from "@/texts";
import { chooseTheme, type ThemeChoice, useThemeChoice } from "@/theme/theme";
import { notify } from "../toasts";
import {
  Menu,
  MenuContent,
  MenuItem,
  MenuLabel,
  MenuRadioGroup,
  MenuRadioItem,
  MenuSeparator,
  MenuTrigger,
} from "../ui/menu";

export function UserMenu({ user }: { user: User }) {
  const client = useQueryClient();
  const router = useRouter();
  const theme = useThemeChoice();
  const [drawer, setDrawer] = useState<HTMLElement | null>(null);
  const findDrawer = useCallback((trigger: HTMLElement | null) => setDrawer(trigger?.closest("dialog") ?? null), []);
  const leave = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
      client.setQueryData(sessionQuery.queryKey, null);
      await router.navigate({ to: "/sign-in" });
    },
    onError: (error) => notify(messageOf(error)),
  });
  return (
    <Menu>
      <MenuTrigger
        ref={findDrawer}
        aria-label={texts.session.menu(user.username)}
        className="flex w-full items-center gap-3 rounded-lg p-2 text-left hover:bg-sunken data-[state=open]:bg-sunken"
      >
        <span
          aria-hidden="true"
          className="grid size-9 shrink-0 place-items-center rounded-full bg-accent-soft font-semibold text-accent uppercase"
        >
          {user.username.charAt(0)}
        </span>
        <span className="min-w-0 flex-1 leading-tight">
          <span className="block truncate font-medium">{user.username}</span>
          <span className="block text-[0.8125rem] text-muted">{texts.session[user.role]}</span>
        </span>
        <ChevronsUpDown aria-hidden="true" className="size-4 shrink-0 text-muted" />
      </MenuTrigger>
      <MenuContent align="start" side="top" container={drawer}>
        <MenuLabel>{texts.theme.label}</MenuLabel>
        <MenuRadioGroup value={theme} onValueChange={(value) => chooseTheme(value as ThemeChoice)}>
          <MenuRadioItem value="system">
            <Monitor aria-hidden="true" />
            {texts.theme.system}
          </MenuRadioItem>
          <MenuRadioItem value="light">
            <Sun aria-hidden="true" />
            {texts.theme.light}
          </MenuRadioItem>
          <MenuRadioItem value="dark">
            <Moon aria-hidden="true" />
            {texts.theme.dark}
          </MenuRadioItem>
        </MenuRadioGroup>
        <MenuSeparator />
        <MenuItem asChild>
          <Link to="/account">
            <CircleUser aria-hidden="true" />
            {texts.session.account}
          </Link>
        </MenuItem>
        <MenuItem onSelect={() => leave.mutate()}>
          <LogOut aria-hidden="true" />
          {texts.session.signOut}
        </MenuItem>
      </MenuContent>
    </Menu>
  );
}
